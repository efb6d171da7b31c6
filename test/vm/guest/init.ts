/** The part of AWS's init that is more than a shell command: ends with status 1 when the parent does not echo the heartbeat. */
import { sendHeartbeat } from "./heartbeat.js";

await sendHeartbeat();
process.exit();
