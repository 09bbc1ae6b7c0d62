#define _GNU_SOURCE
#include "plugins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "plugins"

extern char **environ;

static int is_name(const char *name) {
  const char *allowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
  size_t length = strlen(name);
  return length > 0 && length <= 64 && strspn(name, allowed) == length;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int only_plugins(const struct dirent *entry) { return is_name(entry->d_name); }

static void read_all(int fd, struct text *into) {
  char chunk[512];
  for (ssize_t got; (got = read(fd, chunk, sizeof chunk)) > 0;) text_add_bytes(into, chunk, (size_t)got);
}

/* A plugin starts with the signals as usual, whatever the server blocks or ignores for itself. */
static void usual_signals(posix_spawnattr_t *attributes) {
  sigset_t none, pipe_only;
  sigemptyset(&none);
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  posix_spawnattr_init(attributes);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &pipe_only);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* posix_spawn hands back the errno of execve: exactly what a noexec mount makes visible. */
static int start(const char *program, int *out_fd, pid_t *pid) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawnattr_t attributes;
  usual_signals(&attributes);
  char *arguments[] = {(char *)program, NULL};
  int problem = posix_spawn(pid, program, &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (problem != 0) close(ends[0]);
  else *out_fd = ends[0];
  return problem;
}

static int run(const char *name, struct text *out) {
  char program[256];
  snprintf(program, sizeof program, FOLDER "/%s/plugin", name);
  int fd = -1;
  pid_t pid = -1;
  int problem = start(program, &fd, &pid);
  if (problem != 0) {
    text_add(out, "plugin %s: cannot start: %s\n", name, strerror(problem));
    return 1;
  }
  struct text said = {0};
  read_all(fd, &said);
  close(fd);
  int status = 0;
  waitpid(pid, &status, 0);
  int failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  while (said.length > 0 && said.bytes[said.length - 1] == '\n') said.bytes[--said.length] = '\0';
  text_add(out, "plugin %s: %s%s\n", name, said.length > 0 ? said.bytes : "said nothing", failed ? " (failed)" : "");
  text_free(&said);
  return failed;
}

int plugins_run(struct text *out) {
  struct dirent **found = NULL;
  int count = scandir(FOLDER, &found, only_plugins, by_name);
  if (count < 0) {
    text_add(out, "plugins: cannot read /mattermost/plugins: %s\n", strerror(errno));
    return 1;
  }
  if (count == 0) text_add(out, "plugins: none in /mattermost/plugins\n");
  int failures = count == 0 ? 1 : 0;
  for (int index = 0; index < count; index++) {
    failures += run(found[index]->d_name, out);
    free(found[index]);
  }
  free(found);
  return failures;
}

static int write_program(const char *file, const char *bytes, size_t length) {
  int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  if (fd < 0) return errno;
  int problem = 0;
  for (size_t done = 0; done < length && problem == 0;) {
    ssize_t wrote = write(fd, bytes + done, length - done);
    if (wrote < 0) problem = errno;
    else done += (size_t)wrote;
  }
  if (problem == 0 && fchmod(fd, 0755) != 0) problem = errno;
  if (close(fd) != 0 && problem == 0) problem = errno;
  return problem;
}

int plugin_install(const char *name, const char *bytes, size_t length, struct text *out) {
  char folder[128], staged[160], program[160];
  if (!is_name(name)) {
    text_add(out, "install: a plugin's name is made of a-z, 0-9 and -\n");
    return EINVAL;
  }
  snprintf(folder, sizeof folder, FOLDER "/%s", name);
  snprintf(staged, sizeof staged, "%s/.plugin.new", folder);
  snprintf(program, sizeof program, "%s/plugin", folder);
  if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
    int problem = errno;
    text_add(out, "install %s: cannot make its folder in /mattermost/plugins: %s\n", name, strerror(problem));
    return problem;
  }
  /* A running program cannot be overwritten (ETXTBSY), but it can be replaced. */
  int problem = write_program(staged, bytes, length);
  if (problem == 0 && rename(staged, program) != 0) problem = errno;
  if (problem == 0) text_add(out, "installed %s: %zu bytes\n", name, length);
  else text_add(out, "install %s: cannot write it: %s\n", name, strerror(problem));
  return problem;
}
