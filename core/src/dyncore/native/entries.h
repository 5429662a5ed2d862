// What a table of layouts is made of, which Python compares with its own structs when the library is
// loaded: one field more here or there would shift all others without a word.
#pragma once

#include <cstddef>
#include <cstdint>

// A field of a struct; a whole struct, whose field is ""; or a constant, whose size is 0.
struct LayoutEntry {
  const char *structure, *field;
  int64_t offset, size;  // bytes; of a constant: its value
};

#define STRUCT(S) {#S, "", 0, sizeof(S)}
#define FIELD(S, F) {#S, #F, offsetof(S, F), sizeof(S::F)}
#define CONSTANT(C) {#C, "", C, 0}
