/** What both sides of the test know: who the enclave is, and where its parent listens. */
export const INSTANCE_ID = "i-0123456789abcdef0";
export const MODULE_ID = `${INSTANCE_ID}-enc0123456789abcdef`;
export const ROLE_ARN = "arn:aws:iam::111122223333:role/enclave-parent";

/** Where the guest reaches the host: it has no CID 3 (host/vsock-device.ts). */
export const HOST_CID = 2;
/** AWS's, where its init says that the kernel has booted. */
export const HEARTBEAT_PORT = 9000;
/** Where the host sends back what comes. */
export const ECHO_PORT = 7001;
/** Where the host connects to CALLED_PORT of the guest's, and passes bytes on both ways. */
export const RELAY_PORT = 7002;
export const CALLED_PORT = 7003;
/** Where nobody listens. */
export const CLOSED_PORT = 7004;
