import { BinaryWriter } from "@bufbuild/protobuf/wire";

/** A buffer that one large message made longer than this is not kept. */
const KEPT_BYTES = 1024 * 1024;

let shared = new BinaryWriter();

/** A message's bytes, as `codec.encode(message).finish()` gives them, without a writer and a growing buffer for each. The bytes are a copy. */
export function encoded<T>(codec: { encode(message: T, writer: BinaryWriter): unknown }, message: T): Uint8Array {
  const writer = shared;
  try {
    codec.encode(message, writer);
    const bytes = writer.finish();
    if (bytes.length > KEPT_BYTES) shared = new BinaryWriter();
    return bytes;
  } catch (error) {
    // Half a message must not stand before the next one.
    shared = new BinaryWriter();
    throw error;
  }
}
