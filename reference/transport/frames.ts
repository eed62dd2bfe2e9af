/** Peer messages on a byte stream: a length of four bytes, big-endian, then the message. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;

/** All messages as one buffer: one write for what one turn sends to one peer. */
export function writeFrames(messages: readonly Uint8Array[]): Buffer {
  let size = 0;
  for (const message of messages) size += 4 + message.length;
  const buffer = Buffer.allocUnsafe(size);
  let at = 0;
  for (const message of messages) {
    buffer.writeUInt32BE(message.length, at);
    buffer.set(message, at + 4);
    at += 4 + message.length;
  }
  return buffer;
}

/** Cuts a byte stream back into messages. They are views of what was pushed. */
export class FrameReader {
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** Calls `onMessage` for each message that is complete now; throws on one that is too long. */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    let buffer = chunk;
    if (this.#restBytes > 0) {
      this.#rest.push(chunk);
      this.#restBytes += chunk.length;
      const first = this.#rest[0];
      const wanted = first !== undefined && first.length >= 4 ? 4 + frameLength(first, 0) : 4;
      if (this.#restBytes < wanted) return;
      buffer = Buffer.concat(this.#rest, this.#restBytes);
      this.#rest = [];
      this.#restBytes = 0;
    }
    let at = 0;
    while (buffer.length - at >= 4) {
      const end = at + 4 + frameLength(buffer, at);
      if (end > buffer.length) break;
      onMessage(buffer.subarray(at + 4, end));
      at = end;
    }
    if (at < buffer.length) {
      this.#rest = [buffer.subarray(at)];
      this.#restBytes = buffer.length - at;
    }
  }
}

function frameLength(buffer: Buffer, at: number): number {
  const length = buffer.readUInt32BE(at);
  if (length > MAX_FRAME_BYTES)
    throw new Error(`a peer announced a message of ${length} bytes; at most ${MAX_FRAME_BYTES} are taken`);
  return length;
}
