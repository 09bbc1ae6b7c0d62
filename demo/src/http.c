#define _GNU_SOURCE
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HEAD_BYTES_MAX 16384
#define BODY_BYTES_MAX (64u * 1024 * 1024)

static int listen_on(const char *address, int port) {
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  if (inet_pton(AF_INET, address, &where.sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr *)&where, sizeof where) == 0 && listen(fd, 16) == 0) return fd;
  int problem = errno;
  close(fd);
  errno = problem;
  return -1;
}

/* Reads up to the blank line; what came after it is the beginning of the body. */
static size_t read_head(int fd, struct text *got) {
  char chunk[4096];
  while (got->length < HEAD_BYTES_MAX) {
    ssize_t count = read(fd, chunk, sizeof chunk);
    if (count <= 0) return 0;
    text_add_bytes(got, chunk, (size_t)count);
    char *end = memmem(got->bytes, got->length, "\r\n\r\n", 4);
    if (end != NULL) return (size_t)(end - got->bytes) + 4;
  }
  return 0;
}

static size_t content_length(const char *head) {
  const char *line = strcasestr(head, "\r\ncontent-length:");
  return line == NULL ? 0 : strtoul(line + 17, NULL, 10);
}

/* Returns the status to answer at once, or 0 when the request is complete. */
static int read_request(int fd, struct request *request) {
  struct text got = {0};
  size_t head = read_head(fd, &got);
  if (head == 0) {
    text_free(&got);
    return 400;
  }
  text_add_bytes(&request->body, got.bytes + head, got.length - head);
  got.bytes[head - 1] = '\0';
  int parsed = sscanf(got.bytes, "%7s %127s", request->method, request->path);
  size_t wanted = content_length(got.bytes);
  int wants_go_ahead = strcasestr(got.bytes, "\r\nexpect: 100-continue") != NULL;
  text_free(&got);
  if (parsed != 2) return 400;
  if (wanted > BODY_BYTES_MAX) return 413;
  if (wants_go_ahead) dprintf(fd, "HTTP/1.1 100 Continue\r\n\r\n");
  char chunk[65536];
  while (request->body.length < wanted) {
    ssize_t count = read(fd, chunk, sizeof chunk);
    if (count <= 0) return 400;
    text_add_bytes(&request->body, chunk, (size_t)count);
  }
  return 0;
}

static void write_all(int fd, const char *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t wrote = write(fd, bytes + done, length - done);
    if (wrote <= 0) return;
    done += (size_t)wrote;
  }
}

static void answer(int fd, handler handle) {
  /* One silent client must not stop the demo for ever. */
  struct timeval patience = {.tv_sec = 10};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  struct request request = {0};
  struct text body = {0}, whole = {0};
  int status = read_request(fd, &request);
  if (status == 0) status = handle(&request, &body);
  text_add(&whole, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
           status < 400 ? "OK" : "Error", body.length);
  if (body.length > 0) text_add_bytes(&whole, body.bytes, body.length);
  write_all(fd, whole.bytes, whole.length);
  text_free(&whole);
  text_free(&body);
  text_free(&request.body);
}

static int signals_as_file(void) {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  sigprocmask(SIG_BLOCK, &stops, NULL);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &stops, SFD_CLOEXEC);
}

int http_serve(const char *address, int port, handler handle) {
  int stop = signals_as_file();
  int server = listen_on(address, port);
  if (stop < 0 || server < 0) {
    fprintf(stderr, "mattermost: cannot listen on %s:%d: %s\n", address, port, strerror(errno));
    return 1;
  }
  struct pollfd watched[] = {{.fd = server, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
  while (poll(watched, 2, -1) >= 0 || errno == EINTR) {
    if (watched[1].revents != 0) break;
    int client = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    answer(client, handle);
    close(client);
  }
  close(server);
  return 0;
}
