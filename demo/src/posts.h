/* The data of the demo: one post a line in /mattermost/data/posts.txt. */
#ifndef POSTS_H
#define POSTS_H
#include "text.h"

/* Appends one post and makes it durable before it returns 0; otherwise an errno value, with words in `out`. */
int post_add(const char *bytes, size_t length, struct text *out);

/* Writes all posts. A missing file means none. Returns 0 or an errno value. */
int posts_list(struct text *out);

/* Writes a line to /mattermost/logs/mattermost.log and to stderr. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
