/* The small part of HTTP/1.1 that the demo needs: one request a connection, bodies with Content-Length. */
#ifndef HTTP_H
#define HTTP_H
#include "text.h"

struct request {
  char method[8];
  char path[128];
  struct text body;
};

/* Answers one request: fills `out` and returns the status code. */
typedef int (*handler)(const struct request *request, struct text *out);

/* Serves 127.0.0.1:PORT (or ADDRESS) until SIGTERM or SIGINT. Returns 0, or 1 with words on stderr. */
int http_serve(const char *address, int port, handler handle);

#endif
