#define _GNU_SOURCE
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_add_bytes(struct text *text, const char *bytes, size_t length) {
  char *grown = realloc(text->bytes, text->length + length + 1);
  if (grown == NULL) abort();
  memcpy(grown + text->length, bytes, length);
  text->bytes = grown;
  text->length += length;
  text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *format, ...) {
  char *line = NULL;
  va_list values;
  va_start(values, format);
  int length = vasprintf(&line, format, values);
  va_end(values);
  if (length < 0) abort();
  text_add_bytes(text, line, (size_t)length);
  free(line);
}

void text_free(struct text *text) {
  free(text->bytes);
  text->bytes = NULL;
  text->length = 0;
}
