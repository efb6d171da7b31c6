// The part of cbor-x that shared/cbor.ts uses. The package's own declarations need Node's, which shared/ must not have.
interface Options {
  useRecords: false;
  mapsAsObjects: false;
  tagUint8Array: false;
  variableMapSize: true;
}
export class Decoder {
  constructor(options: Options);
  decode(bytes: Uint8Array): unknown;
}
export class Encoder {
  constructor(options: Options);
  encode(value: unknown): Uint8Array;
}
