/** A ZIP archive of files that are compressed already: stored as they are (APPNOTE.TXT 6.3, without ZIP64). */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
const UTF8_NAMES = 0x0800;
const FIRST_DAY = 0x21; // 1980-01-01: equal files make equal archives

/** @param {{name: string, blob: Blob}[]} files @returns {Promise<Blob>} */
export async function zipOf(files) {
  const [parts, directory] = [[], []];
  let offset = 0;
  for (const { name, blob } of files) {
    const [bytes, path] = [new Uint8Array(await blob.arrayBuffer()), new TextEncoder().encode(name)];
    const common = [[2, 20], [2, UTF8_NAMES], [2, 0], [2, 0], [2, FIRST_DAY], [4, crc(bytes)], [4, bytes.length], [4, bytes.length], [2, path.length], [2, 0]];
    const local = packed([4, 0x04034b50], ...common);
    parts.push(local, path, bytes);
    directory.push(packed([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), path);
    offset += local.length + path.length + bytes.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = packed([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** Unsigned numbers, the least significant byte first. @param {...[number, number]} fields bytes and value */
const packed = (...fields) =>
  Uint8Array.from(fields.flatMap(([bytes, value]) => Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff)));

const crc = (/** @type {Uint8Array} */ bytes) =>
  (bytes.reduce((sum, byte) => TABLE[(sum ^ byte) & 0xff] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;
