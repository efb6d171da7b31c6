/** AF_VSOCK streams for Node in the habits of node:net, and the ioctl of the Nitro Security Module. */

/** A CID that any socket of this machine is reached under (vsock(7)). */
export const VMADDR_CID_ANY = 0xffff_ffff;
