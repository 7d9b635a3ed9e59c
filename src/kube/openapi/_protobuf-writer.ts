/** Writes protobuf fields (wire format of proto3) into one growing buffer. */
export class ProtobufWriter {
  #buffer = Buffer.allocUnsafe(1024);
  #length = 0;

  /** Returns what was written. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Writes text; empty text is the default and not written. */
  text(field: number, value: unknown): void {
    if (typeof value !== 'string' || value === '') return;
    this.#tag(field, 2);
    const bytes = Buffer.byteLength(value);
    this.#varint(bytes);
    this.#reserve(bytes);
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  /** Writes each text of a list, empty ones too. */
  texts(field: number, values: unknown): void {
    if (!Array.isArray(values)) return;
    for (const value of values) {
      if (value === '') {
        this.#tag(field, 2);
        this.#varint(0);
      } else this.text(field, value);
    }
  }

  /** Writes `true`; `false` is the default and not written. */
  flag(field: number, value: unknown): void {
    if (value !== true) return;
    this.#tag(field, 0);
    this.#varint(1);
  }

  /** Writes a message made by `fill`, empty ones too. */
  message(field: number, fill: (writer: ProtobufWriter) => void): void {
    const inner = new ProtobufWriter();
    fill(inner);
    const bytes = inner.finish();
    this.#tag(field, 2);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    this.#reserve(10);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length] = (rest % 0x80) | 0x80;
      this.#length += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length] = rest;
    this.#length += 1;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
