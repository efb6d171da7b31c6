/** A client that sends the enclave half of a request, says so, and waits for its end. */
import { PORTS } from "../../../shared/address.js";
import { connect } from "../../../vsock/index.js";
import { LOCAL_CID } from "../addresses.js";

const HEAD =
  "POST /v1/sealed HTTP/1.1\r\nhost: localhost\r\ncontent-type: message/ohttp-req\r\ncontent-length: 1000\r\n\r\n";

connect({ cid: LOCAL_CID, port: PORTS.enclave }).write(`${HEAD}half`, () => process.send?.("sent"));
