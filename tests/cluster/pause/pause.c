/* Holds a pod's namespaces, which live as long as this process. */
#include <signal.h>
#include <unistd.h>

static void stop(int signal) { _exit(0); }

int main(void) {
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  for (;;) pause();
}
