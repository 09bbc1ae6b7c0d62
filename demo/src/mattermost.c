/* A stand-in for Mattermost: same folders, same user, same way of running plugins as programs, far fewer features.
 *
 *   mattermost [serve] [PORT]   HTTP on MM_ADDRESS:PORT (127.0.0.1:8065; MM_PORT)
 *   mattermost check            the same facts on stdout, without a network
 *   mattermost post WORDS       adds a post without a network
 *   mattermost install NAME     reads a plugin's program from stdin and installs it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"
#include "plugins.h"
#include "posts.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static int status_of(int problem) { return problem == 0 ? 200 : problem == EINVAL ? 400 : 500; }

static int get(const char *path, struct text *out) {
  if (strcmp(path, "/") == 0 || strcmp(path, "/version") == 0) {
    text_add(out, "mattermost " VERSION "\n");
    return 200;
  }
  if (strcmp(path, "/plugins") == 0) {
    plugins_run(out);
    return 200;
  }
  if (strcmp(path, "/posts") == 0) return status_of(posts_list(out));
  return 404;
}

static int handle(const struct request *request, struct text *out) {
  const char *path = request->path;
  int status = 405;
  if (strcmp(request->method, "GET") == 0) status = get(path, out);
  else if (strcmp(request->method, "POST") == 0 && strcmp(path, "/posts") == 0)
    status = status_of(post_add(request->body.bytes, request->body.length, out));
  else if (strcmp(request->method, "PUT") == 0 && strncmp(path, "/plugins/", 9) == 0)
    status = status_of(plugin_install(path + 9, request->body.bytes, request->body.length, out));
  log_line("%s %s %d", request->method, path, status);
  return status;
}

static int serve(const char *port_text) {
  const char *address = getenv("MM_ADDRESS");
  char *end = NULL;
  long port = strtol(port_text, &end, 10);
  if (end == port_text || *end != '\0' || port < 1 || port > 65535) {
    fprintf(stderr, "mattermost: port %s: must be a number from 1 to 65535\n", port_text);
    return 2;
  }
  log_line("mattermost " VERSION " starts on port %ld as uid %d", port, (int)getuid());
  int problem = http_serve(address == NULL ? "127.0.0.1" : address, (int)port, handle);
  log_line("mattermost " VERSION " stops");
  return problem;
}

static int check_config(struct text *out) {
  int missing = access("config/config.json", R_OK) != 0;
  text_add(out, "config: config.json %s\n", missing ? strerror(errno) : "is there");
  return missing;
}

static int check(void) {
  struct text out = {0};
  text_add(&out, "mattermost " VERSION ", uid %d\n", (int)getuid());
  int failures = check_config(&out) + plugins_run(&out);
  struct text posts = {0};
  int problem = posts_list(&posts);
  if (problem == 0) text_add(&out, posts.length == 0 ? "posts: none\n" : "posts:\n");
  if (posts.length > 0) text_add_bytes(&out, posts.bytes, posts.length);
  failures += problem != 0;
  fputs(out.bytes, stdout);
  return failures == 0 ? 0 : 1;
}

static int install(const char *name) {
  struct text program = {0}, out = {0};
  char chunk[65536];
  for (size_t got; (got = fread(chunk, 1, sizeof chunk, stdin)) > 0;) text_add_bytes(&program, chunk, got);
  int problem = plugin_install(name, program.bytes, program.length, &out);
  fputs(out.bytes, stdout);
  return problem == 0 ? 0 : 1;
}

static int post(const char *words) {
  struct text out = {0};
  int problem = post_add(words, strlen(words), &out);
  fputs(out.bytes, stdout);
  return problem == 0 ? 0 : 1;
}

int main(int count, char **words) {
  const char *port = getenv("MM_PORT");
  const char *verb = count > 1 ? words[1] : "serve";
  /* Whatever the working directory is: all names below are relative to this one. */
  if (chdir("/mattermost") != 0) {
    perror("mattermost: /mattermost");
    return 1;
  }
  if (strcmp(verb, "serve") == 0) return serve(count > 2 ? words[2] : port != NULL ? port : "8065");
  if (strcmp(verb, "check") == 0) return check();
  if (strcmp(verb, "post") == 0 && count == 3) return post(words[2]);
  if (strcmp(verb, "install") == 0 && count == 3) return install(words[2]);
  fprintf(stderr, "usage: mattermost [serve [PORT] | check | post WORDS | install NAME]\n");
  return 2;
}
