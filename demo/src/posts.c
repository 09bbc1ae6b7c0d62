#define _GNU_SOURCE
#include "posts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POSTS "data/posts.txt"
#define LOG "logs/mattermost.log"

static int append(const char *file, const char *bytes, size_t length, int durable) {
  int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return errno;
  ssize_t wrote = write(fd, bytes, length);
  int problem = wrote < 0 ? errno : (size_t)wrote == length ? 0 : ENOSPC;
  if (problem == 0 && durable && fsync(fd) != 0) problem = errno;
  close(fd);
  return problem;
}

int post_add(const char *bytes, size_t length, struct text *out) {
  struct text line = {0};
  text_add_bytes(&line, bytes, length);
  for (size_t index = 0; index < line.length; index++)
    if (line.bytes[index] == '\n' || line.bytes[index] == '\r') line.bytes[index] = ' ';
  text_add(&line, "\n");
  int problem = append(POSTS, line.bytes, line.length, 1);
  text_free(&line);
  if (problem == 0) text_add(out, "posted\n");
  else text_add(out, "post: cannot write /mattermost/" POSTS ": %s\n", strerror(problem));
  return problem;
}

int posts_list(struct text *out) {
  int fd = open(POSTS, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return 0;
  if (fd < 0) {
    text_add(out, "posts: cannot read /mattermost/" POSTS ": %s\n", strerror(errno));
    return errno;
  }
  char chunk[4096];
  for (ssize_t got; (got = read(fd, chunk, sizeof chunk)) > 0;) text_add_bytes(out, chunk, (size_t)got);
  close(fd);
  return 0;
}

void log_line(const char *format, ...) {
  struct text line = {0};
  char words[512];
  va_list values;
  va_start(values, format);
  vsnprintf(words, sizeof words, format, values);
  va_end(values);
  text_add(&line, "%s\n", words);
  if (write(STDERR_FILENO, line.bytes, line.length) < 0) { /* nobody reads our stderr: the file still has it */
  }
  int problem = append(LOG, line.bytes, line.length, 0);
  if (problem != 0) dprintf(STDERR_FILENO, "logs: cannot write /mattermost/" LOG ": %s\n", strerror(problem));
  text_free(&line);
}
