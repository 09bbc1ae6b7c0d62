/* A growing text, for answers of unknown length. */
#ifndef TEXT_H
#define TEXT_H
#include <stddef.h>

struct text {
  char *bytes; /* always ends in a NUL that is not counted */
  size_t length;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_free(struct text *text);

#endif
