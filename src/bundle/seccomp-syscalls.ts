/**
 * System calls that a container may make, grouped by what they are for. Names that a kernel or libseccomp does not
 * know are ignored by the runtimes, so one table serves every architecture. What is not here fails with EPERM:
 * io_uring, userfaultfd, keyrings, kexec, swap, kernel modules, tracing of the kernel and other ways to the host.
 */

/** One line per thought keeps the table readable; the names are separated by blanks. */
function names(...lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => line.split(' '))
}

/** Allowed to everyone, whatever the arguments. */
export const ALWAYS_ALLOWED: Readonly<Record<string, readonly string[]>> = {
  files: names(
    'access faccessat faccessat2 open openat openat2 creat close close_range',
    'read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek',
    'stat stat64 fstat fstat64 lstat lstat64 newfstatat fstatat64 statx',
    'truncate truncate64 ftruncate ftruncate64 fallocate',
    'dup dup2 dup3 fcntl fcntl64 flock ioctl',
    'fsync fdatasync sync syncfs sync_file_range readahead fadvise64 fadvise64_64',
    'copy_file_range sendfile sendfile64 splice tee vmsplice',
    'chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 umask',
    'utime utimes futimesat utimensat utimensat_time64',
    'name_to_handle_at',
  ),
  directories: names(
    'chdir fchdir getcwd getdents getdents64 mkdir mkdirat rmdir mknod mknodat',
    'link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat renameat2',
    'inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark',
  ),
  fileSystems: names('statfs statfs64 fstatfs fstatfs64 statmount listmount'),
  attributes: names(
    'getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat',
    'listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat',
  ),
  waiting: names(
    'poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64',
    'epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2',
    'eventfd eventfd2 pipe pipe2 signalfd signalfd4',
    'io_setup io_submit io_getevents io_pgetevents io_pgetevents_time64 io_cancel io_destroy',
  ),
  memory: names(
    'brk mmap mmap2 munmap mremap mprotect pkey_alloc pkey_free pkey_mprotect map_shadow_stack',
    'madvise mincore msync mlock mlock2 mlockall munlock munlockall remap_file_pages',
    'membarrier memfd_create memfd_secret mseal cachestat process_mrelease',
  ),
  processes: names(
    'fork vfork execve execveat exit exit_group wait4 waitid waitpid kill tkill tgkill',
    'pidfd_open pidfd_send_signal getpid getppid gettid getpgid getpgrp setpgid getsid setsid',
    'prctl seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self',
    'set_tid_address set_thread_area get_thread_area set_robust_list get_robust_list rseq restart_syscall',
    'futex futex_time64 futex_wait futex_wake futex_requeue futex_waitv',
    'uretprobe riscv_hwprobe',
    // Reading another process is decided by Yama and ptrace's own checks; kernels before 4.8 are not supported.
    'ptrace process_vm_readv process_vm_writev',
  ),
  identity: names(
    'getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32',
    'getresuid getresuid32 getresgid getresgid32 getgroups getgroups32',
    'setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32',
    'setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32',
    'setgroups setgroups32 capget capset',
  ),
  signals: names(
    'alarm pause sigaltstack sigprocmask sigreturn rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo',
    'rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo',
  ),
  scheduling: names(
    'sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam',
    'sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min',
    'sched_rr_get_interval sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getcpu',
    'getrlimit ugetrlimit setrlimit prlimit64 getrusage times',
  ),
  time: names(
    'time gettimeofday clock_getres clock_getres_time64 clock_gettime clock_gettime64',
    // Setting the clock through these needs CAP_SYS_TIME, which the kernel checks.
    'adjtimex clock_adjtime clock_adjtime64',
    'nanosleep clock_nanosleep clock_nanosleep_time64 getitimer setitimer',
    'timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64',
    'timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64',
  ),
  sockets: names(
    'socketcall socketpair bind listen accept accept4 connect shutdown getsockname getpeername',
    'getsockopt setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64',
  ),
  ipc: names(
    'ipc shmget shmat shmdt shmctl semget semop semtimedop semtimedop_time64 semctl msgget msgsnd msgrcv msgctl',
    'mq_open mq_unlink mq_notify mq_getsetattr mq_timedsend mq_timedsend_time64',
    'mq_timedreceive mq_timedreceive_time64',
  ),
  system: names('uname sysinfo getrandom'),
}

/** Allowed to a container that has the capability. */
export const ALLOWED_BY_CAPABILITY: Readonly<Record<string, readonly string[]>> = {
  CAP_BPF: names('bpf'),
  CAP_DAC_READ_SEARCH: names('open_by_handle_at'),
  CAP_PERFMON: names('perf_event_open'),
  CAP_SYS_ADMIN: names(
    'bpf clone clone3 fanotify_init lookup_dcookie perf_event_open quotactl quotactl_fd setns unshare syslog',
    'mount umount umount2 mount_setattr move_mount open_tree fsconfig fsmount fsopen fspick',
    'sethostname setdomainname lsm_get_self_attr lsm_set_self_attr lsm_list_modules',
  ),
  CAP_SYS_BOOT: names('reboot'),
  CAP_SYS_CHROOT: names('chroot'),
  CAP_SYS_MODULE: names('init_module finit_module delete_module'),
  CAP_SYS_NICE: names('get_mempolicy set_mempolicy set_mempolicy_home_node mbind'),
  CAP_SYS_PACCT: names('acct'),
  CAP_SYS_PTRACE: names('kcmp pidfd_getfd process_madvise'),
  CAP_SYS_RAWIO: names('iopl ioperm'),
  CAP_SYS_TIME: names('settimeofday stime clock_settime clock_settime64'),
  CAP_SYS_TTY_CONFIG: names('vhangup'),
  CAP_SYSLOG: names('syslog'),
}

/** Allowed on one architecture (GOARCH names), where they are part of running programs at all. */
export const ALLOWED_BY_ARCHITECTURE: Readonly<Record<string, readonly string[]>> = {
  amd64: names('arch_prctl modify_ldt'),
  arm64: names('arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls'),
  ppc64le: names('sync_file_range2 swapcontext'),
  riscv64: names('riscv_flush_icache'),
  s390x: names('s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr'),
}
