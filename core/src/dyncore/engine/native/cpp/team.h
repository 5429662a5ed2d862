// Threads that wait for work by spinning a little, then asleep.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "vector.h"

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

  // Calls task(thread) on every thread, the caller being 0, and returns when all have ended. The barrier
  // pairs with the one in serve: when it is passed, no thread reads `task_` any more.
  void run(const std::function<void(int)>& task) {
    if (size_ == 1) return task(0);
    task_ = &task;
    begin();
    task(0);
    barrier();
  }

  // For every thread of the team: its part of `count` pieces of work. Each takes the next whole piece
  // until fewer are left than threads; those are shared, one after the other. `next` begins at 0.
  // Calls work(piece, thread whose memory it may use, part, parts).
  template <typename F>
  void deal(int count, std::atomic<int>& next, int thread, const F& work) {
    const int whole = count / size_ * size_;
    for (int i; (i = next.fetch_add(1)) < whole;) work(i, thread, 0, 1);
    if (whole == count) return;
    if (whole) barrier();  // what is shared uses thread 0's memory, which may still have a whole piece
    for (int i = whole; i < count; i++) work(i, 0, thread, size_);
  }

  // Waits until every thread of the team is here.
  void barrier() {
    if (size_ == 1) return;
    const int turn = turn_.load();
    if (arrived_.fetch_add(1) + 1 == size_) {
      arrived_ = 0;  // before the turn: whoever sees the new turn may arrive at the next barrier
      turn_ = turn + 1;
      turn_.notify_all();
    } else {
      wait(turn_, turn);
    }
  }

 private:
  static constexpr int MAX_SPINS = 40000;  // some 0.5 ms: longer than a router between two blocks

  // Until `value` is no longer `old`.
  static void wait(const std::atomic<int>& value, int old) {
    for (int spin = 0; spin < MAX_SPINS; spin++) {
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
