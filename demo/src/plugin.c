/* A plugin: a program that the plugin host starts. GREETING makes one plugin differ from another. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
  printf(GREETING " (uid %d)\n", (int)getuid());
  return 0;
}
