/* Runs a program, counts the system calls by which it and its threads change files, and does something at one of them.
 *
 *   calls count FILE            PROGRAM ARGUMENT...   the name of each call is written to a file, a line each
 *   calls kill  N               PROGRAM ARGUMENT...   the process is killed before call N, counted from 1
 *   calls torn  N               PROGRAM ARGUMENT...   if call N writes bytes, half of them are written; then the process is killed
 *   calls fail  N ERRNO [stay]  PROGRAM ARGUMENT...   call N fails with this error, and with `stay` all calls after it
 *
 * A filter of the kernel (seccomp) stops the program at these calls alone, so that all else runs at its own speed. What is written to
 * pipes, terminals and sockets is not counted. For Linux on x86-64. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a call's first argument is. */
enum { HANDLE_OF_FILE, ANYTHING, FLAGS_SECOND, FLAGS_THIRD };

static const struct {
    long number;
    const char *name;
    int kind;
} CALLS[] = {
    {SYS_write, "write", HANDLE_OF_FILE},
    {SYS_pwrite64, "pwrite", HANDLE_OF_FILE},
    {SYS_writev, "writev", HANDLE_OF_FILE},
    {SYS_copy_file_range, "copy_file_range", ANYTHING},
    {SYS_sendfile, "sendfile", HANDLE_OF_FILE},
    {SYS_open, "open", FLAGS_SECOND},
    {SYS_openat, "openat", FLAGS_THIRD},
    {SYS_ftruncate, "ftruncate", ANYTHING},
    {SYS_fallocate, "fallocate", ANYTHING},
    {SYS_fsync, "fsync", ANYTHING},
    {SYS_fdatasync, "fdatasync", ANYTHING},
    {SYS_rename, "rename", ANYTHING},
    {SYS_renameat, "renameat", ANYTHING},
    {SYS_renameat2, "renameat2", ANYTHING},
    {SYS_link, "link", ANYTHING},
    {SYS_linkat, "linkat", ANYTHING},
    {SYS_symlink, "symlink", ANYTHING},
    {SYS_unlink, "unlink", ANYTHING},
    {SYS_unlinkat, "unlinkat", ANYTHING},
    {SYS_mkdir, "mkdir", ANYTHING},
    {SYS_mkdirat, "mkdirat", ANYTHING},
    {SYS_rmdir, "rmdir", ANYTHING},
    {SYS_fchmod, "fchmod", ANYTHING},
    {SYS_utimensat, "utimensat", ANYTHING},
};
#define COUNT (sizeof CALLS / sizeof *CALLS)

static void die(const char *what) {
    perror(what);
    exit(125);
}

/* The filter: stop at the calls of the list, allow all others. */
static void filter(void) {
    struct sock_filter code[COUNT + 4];
    size_t len = 0;
    code[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t index = 0; index < COUNT; index++)
        code[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS[index].number, COUNT - index, 0);
    code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog program = {len, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        die("seccomp");
}

/* Whether a call, which a thread has stopped at, changes a file. */
static int counts(pid_t thread, int kind, const struct user_regs_struct *regs) {
    char path[64];
    struct stat about;
    switch (kind) {
    case HANDLE_OF_FILE:
        snprintf(path, sizeof path, "/proc/%d/fd/%d", thread, (int)regs->rdi);
        return !stat(path, &about) && S_ISREG(about.st_mode);
    case FLAGS_SECOND:
        return (regs->rsi & O_ACCMODE) != O_RDONLY || (regs->rsi & O_CREAT);
    case FLAGS_THIRD:
        return (regs->rdx & O_ACCMODE) != O_RDONLY || (regs->rdx & O_CREAT);
    default:
        return 1;
    }
}

static void get(pid_t thread, struct user_regs_struct *regs) {
    if (ptrace(PTRACE_GETREGS, thread, 0, regs) && errno != ESRCH)
        die("getregs");
}

static void set(pid_t thread, struct user_regs_struct *regs) {
    if (ptrace(PTRACE_SETREGS, thread, 0, regs) && errno != ESRCH)
        die("setregs");
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int counting = !strcmp(what, "count"), torn = !strcmp(what, "torn"), failing = !strcmp(what, "fail"), stay = 0;
    int next = 2;
    const char *number = argc > next ? argv[next++] : "";
    long at = counting ? 0 : atol(number);
    int error = failing && argc > next ? atoi(argv[next++]) : 0;
    if (failing && argc > next && !strcmp(argv[next], "stay"))
        stay = 1, next++;
    if (argc <= next || (!counting && !torn && !failing && strcmp(what, "kill"))) {
        fprintf(stderr, "usage: calls count FILE|kill N|torn N|fail N ERRNO [stay] PROGRAM ARGUMENT...\n");
        return 125;
    }
    FILE *names = counting ? fopen(number, "we") : NULL;
    if (counting && !names)
        die(number);
    pid_t child = fork();
    if (!child) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        filter();
        execvp(argv[next], argv + next);
        die(argv[next]);
    }
    int status;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, 0,
           PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL);
    ptrace(PTRACE_CONT, child, 0, 0);
    long calls = 0;
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0)
            return 125;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != child)
                continue;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (event == PTRACE_EVENT_SECCOMP) {
            struct user_regs_struct regs;
            get(thread, &regs);
            for (size_t index = 0; index < COUNT; index++) {
                if (CALLS[index].number != (long)regs.orig_rax || !counts(thread, CALLS[index].kind, &regs))
                    continue;
                calls++;
                if (counting)
                    fprintf(names, "%s\n", CALLS[index].name);
                if (!at || (calls != at && !(stay && calls > at)))
                    continue;
                if (failing) { /* the call is not made, and gives the error */
                    regs.orig_rax = -1;
                    regs.rax = -error;
                    set(thread, &regs);
                    continue;
                }
                if (torn && (CALLS[index].number == SYS_write || CALLS[index].number == SYS_pwrite64)) {
                    regs.rdx /= 2;
                    set(thread, &regs);
                    ptrace(PTRACE_SYSCALL, thread, 0, 0); /* to its end */
                    waitpid(thread, &status, __WALL);
                }
                kill(child, SIGKILL);
            }
            signal = 0;
        } else if (event || signal == SIGSTOP || signal == SIGTRAP) {
            signal = 0; /* a new thread, or the program begins */
        }
        ptrace(PTRACE_CONT, thread, 0, signal);
    }
}
