// Threads that wait for work by spinning a little, then asleep.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

INLINE void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Team {
 public:
  explicit Team(int threads) : size_(threads) {
    for (int thread = 1; thread < threads; thread++)
      workers_.emplace_back([this, thread] { serve(thread); });
  }

  ~Team() {
    task_ = nullptr;
    begin();
    for (auto& worker : workers_) worker.join();
  }

  int size() const { return size_; }

  // Calls task(thread) on every thread, the caller being 0, and returns when all have ended.
  void run(const std::function<void(int)>& task) {
    if (size_ == 1) return task(0);
    task_ = &task;
    begin();
    task(0);
    barrier();
  }

  // Waits until every thread of the team is here.
  void barrier() {
    if (size_ == 1) return;
    const int turn = turn_.load();
    if (arrived_.fetch_add(1) + 1 == size_) {
      arrived_ = 0;
      turn_ = turn + 1;
      turn_.notify_all();
    } else {
      wait(turn_, turn);
    }
  }

 private:
  static constexpr int SPINS = 40000;  // some 0.5 ms: longer than a router between two blocks

  static void wait(const std::atomic<int>& value, int old) {
    for (int spin = 0; spin < SPINS; spin++) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause_briefly();
    }
    value.wait(old);
  }

  void begin() {
    work_.fetch_add(1);
    work_.notify_all();
  }

  void serve(int thread) {
    for (int seen = 0;; seen++) {
      wait(work_, seen);
      if (!task_) return;
      (*task_)(thread);
      barrier();
    }
  }

  const int size_;
  const std::function<void(int)>* task_ = nullptr;
  std::atomic<int> work_{0}, turn_{0}, arrived_{0};
  std::vector<std::thread> workers_;
};
