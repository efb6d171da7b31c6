/**
 * AWS's init starts the enclave's program as root, whatever USER the container image names. Root is needed for two things at
 * boot, the kernel's entropy count and its clock; everything after that runs as a user who owns nothing.
 */

/** The user and group that a container image without users of its own leaves free. */
export const UNPRIVILEGED = { uid: 65_532, gid: 65_532 } as const;

/**
 * Gives up root for good; does nothing for a process that is not root. On return no thread of the process can get it back,
 * and the kernel has closed /proc/PID/mem and /proc/PID/environ to everybody but root (proc(5), "dumpable").
 * @throws the system's error; a TypeError where the platform has no users.
 */
export function dropPrivileges({ uid, gid }: { readonly uid: number; readonly gid: number } = UNPRIVILEGED): void {
  const { getuid, setgroups, setgid, setuid } = process;
  if (!getuid || !setgroups || !setgid || !setuid) throw new TypeError("expected a platform with users");
  if (getuid() !== 0) return;
  setgroups([]);
  setgid(gid);
  setuid(uid);
}
