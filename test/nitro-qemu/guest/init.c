/*
 * The first process of the test's enclave, of the first ramdisk. It does what AWS's init does for a program, in its order:
 * file systems, modules, the heartbeat to the parent, /env and /cmd of the second ramdisk, root moved to /rootfs, the
 * program started as root by execvpe and waited for; when it ends, the enclave restarts.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The parent has CID 3 in AWS's enclaves; the device of this machine has nobody there (host/vsock-device.ts). */
#define PARENT_CID 2
#define HEARTBEAT_PORT 9000
#define HEARTBEAT 0xb7
#define LINES_MAX 64
#define FILE_MAX 4096

static void restart(void) {
  sync();
  reboot(RB_AUTOBOOT);
  for (;;) pause();
}

static void check(int ok, const char *what) {
  if (ok) return;
  printf("init: %s: %s\n", what, strerror(errno));
  fflush(stdout);
  restart();
}

static void mount_devices(void) {
  check(mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) == 0, "mount /dev");
  check(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount /proc");
  check(mount("sysfs", "/sys", "sysfs", 0, NULL) == 0, "mount /sys");
}

static void open_console(void) {
  int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd <= 2; fd++) dup2(console, fd);
}

/* In the order of their names. */
static void load_modules(void) {
  struct dirent **files;
  int count = scandir("/modules", &files, NULL, alphasort);
  check(count >= 0 && chdir("/modules") == 0, "open /modules");
  for (int i = 0; i < count; i++) {
    if (files[i]->d_name[0] == '.') continue;
    int fd = open(files[i]->d_name, O_RDONLY | O_CLOEXEC);
    check(fd >= 0 && syscall(SYS_finit_module, fd, "", 0) == 0, files[i]->d_name);
    close(fd);
  }
}

static void beat(void) {
  struct sockaddr_vm parent = {.svm_family = AF_VSOCK, .svm_cid = PARENT_CID, .svm_port = HEARTBEAT_PORT};
  unsigned char byte = HEARTBEAT;
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(fd >= 0 && connect(fd, (struct sockaddr *)&parent, sizeof parent) == 0, "heartbeat, connect");
  check(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 && byte == HEARTBEAT, "heartbeat");
  close(fd);
}

/* The lines of a file, and NULL after the last. */
static void read_lines(const char *path, char *lines[LINES_MAX]) {
  static char texts[2][FILE_MAX];
  static int next;
  char *text = texts[next++];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = read(fd, text, FILE_MAX - 1);
  check(length >= 0, path);
  text[length] = '\0';
  int count = 0;
  for (char *line = strtok(text, "\n"); line != NULL && count < LINES_MAX - 1; line = strtok(NULL, "\n")) lines[count++] = line;
  lines[count] = NULL;
  close(fd);
}

static void enter_rootfs(void) {
  check(mount("/rootfs", "/rootfs", NULL, MS_BIND, NULL) == 0 && chdir("/rootfs") == 0, "bind /rootfs");
  check(mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 && chdir("/") == 0, "move the root");
  mount_devices();
}

static void launch(char *command[], char *environment[]) {
  setsid();
  setpgid(0, 0);
  /* For execvpe itself, and for the program where /env does not say otherwise. */
  setenv("PATH", "/sbin:/usr/sbin:/bin:/usr/bin", 1);
  for (int i = 0; environment[i] != NULL; i++) putenv(environment[i]);
  execvpe(command[0], command, environ);
  printf("init: %s: %s\n", command[0], strerror(errno));
  fflush(stdout);
  _exit(127);
}

int main(void) {
  char *command[LINES_MAX], *environment[LINES_MAX];
  mount_devices();
  open_console();
  load_modules();
  beat();
  read_lines("/env", environment);
  read_lines("/cmd", command);
  enter_rootfs();
  clearenv(); /* the kernel's command line is no part of the program's environment */
  pid_t child = fork();
  check(child >= 0, "fork");
  if (child == 0) launch(command, environment);
  int status = 0;
  while (waitpid(-1, &status, 0) != child) continue;
  printf("init: the program ended with status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  fflush(stdout);
  restart();
}
