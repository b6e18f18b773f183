class Wrong extends Error {} // a check found something wrong
class Unproven extends Error {} // nothing is wrong, something is only claimed
class NotReceipt extends Error {}
class NotUsable extends NotReceipt {} // what the reader brought along is none of it

const utf8 = new TextEncoder();
const toBytes = (text) => utf8.encode(text);
const hex = (bytes) => Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
const toBig = (bytes) => (bytes.length ? BigInt("0x" + hex(bytes)) : 0n);
const fromBig = (value, size) => unhex(value.toString(16).padStart(2 * size, "0"));
const isSame = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

function joined(...parts) {
  const found = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}

// SHA-256 (FIPS 180-4): browsers have none of their own on pages without https.
const words = (text) => Uint32Array.from(text.match(/.{8}/g), (word) => parseInt(word, 16));
const ROUNDS = words(
  "428a2f9871374491b5c0fbcfe9b5dba53956c25b59f111f1923f82a4ab1c5ed5d807aa9812835b01243185be550c7dc3" +
    "72be5d7480deb1fe9bdc06a7c19bf174e49b69c1efbe47860fc19dc6240ca1cc2de92c6f4a7484aa5cb0a9dc76f988da" +
    "983e5152a831c66db00327c8bf597fc7c6e00bf3d5a7914706ca63511429296727b70a852e1b21384d2c6dfc53380d13" +
    "650a7354766a0abb81c2c92e92722c85a2bfe8a1a81a664bc24b8b70c76c51a3d192e819d6990624f40e3585106aa070" +
    "19a4c1161e376c082748774c34b0bcb5391c0cb34ed8aa4a5b9cca4f682e6ff3748f82ee78a5636f84c878148cc70208" +
    "90befffaa4506cebbef9a3f7c67178f2",
);
const BEGIN = words("6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19");

function sha256(message) {
  const size = ((message.length + 72) >> 6) << 6;
  const padded = new Uint8Array(size);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(size - 8, Math.floor(message.length / 0x20000000));
  view.setUint32(size - 4, message.length << 3);
  const state = BEGIN.slice();
  const w = new Uint32Array(64);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let block = 0; block < size; block += 64) {
    for (let t = 0; t < 16; t++) w[t] = view.getUint32(block + 4 * t);
    for (let t = 16; t < 64; t++) {
      const [x, y] = [w[t - 15], w[t - 2]];
      w[t] =
        w[t - 16] + w[t - 7] +
        (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let t = 0; t < 64; t++) {
      const up = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[t] + w[t]) | 0;
      const down = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + up) | 0, c, b, a, (up + down) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((one, at) => (state[at] += one));
  }
  const found = new DataView(new ArrayBuffer(32));
  state.forEach((one, at) => found.setUint32(4 * at, one));
  return new Uint8Array(found.buffer);
}

const floorDiv = (one, other) => {
  const found = one / other;
  return one % other !== 0n && one < 0n !== other < 0n ? found - 1n : found;
};
const mod = (one, other) => ((one % other) + other) % other;

function rounded(number, unit) {
  // half to even
  const whole = floorDiv(number, unit);
  const twice = 2n * (number - whole * unit);
  return twice > unit || (twice === unit && mod(whole, 2n) === 1n) ? whole + 1n : whole;
}

// Keccak-256 with the padding of Ethereum, on 64-bit lanes.
function keccak256(message) {
  const mask = (1n << 64n) - 1n;
  const turned = (lane, by) => (by ? ((lane << BigInt(by)) | (lane >> BigInt(64 - by))) & mask : lane);
  const padded = new Uint8Array((Math.floor(message.length / 136) + 1) * 136);
  padded.set(message);
  padded[message.length] ^= 0x01;
  padded[padded.length - 1] ^= 0x80;
  const view = new DataView(padded.buffer);
  let lanes = new Array(25).fill(0n);
  for (let at = 0; at < padded.length; at += 136) {
    for (let one = 0; one < 17; one++) lanes[one] ^= view.getBigUint64(at + 8 * one, true);
    let register = 1; // of the round constants
    for (let round = 0; round < 24; round++) {
      const column = [0, 1, 2, 3, 4].map((x) => lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]);
      lanes = lanes.map((lane, one) => lane ^ column[(one + 4) % 5] ^ turned(column[(one + 1) % 5], 1));
      let [x, y, carried] = [1, 0, lanes[1]];
      for (let step = 1; step <= 24; step++) {
        [x, y] = [y, (2 * x + 3 * y) % 5];
        const next = lanes[x + 5 * y];
        lanes[x + 5 * y] = turned(carried, ((step * (step + 1)) / 2) % 64);
        carried = next;
      }
      lanes = lanes.map((lane, one) => {
        const row = one - (one % 5);
        return lane ^ (~lanes[row + ((one + 1) % 5)] & mask & lanes[row + ((one + 2) % 5)]);
      });
      for (let bit = 0; bit < 7; bit++) {
        if (register & 1) lanes[0] ^= 1n << BigInt(2 ** bit - 1);
        register = (register << 1) ^ (register >> 7 ? 0x171 : 0);
      }
    }
  }
  const found = new DataView(new ArrayBuffer(32));
  for (let one = 0; one < 4; one++) found.setBigUint64(8 * one, lanes[one], true);
  return new Uint8Array(found.buffer);
}
