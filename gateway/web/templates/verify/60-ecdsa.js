// ECDSA with SHA-256 on the seven curves of the Open Charge Metering Format. Browsers
// check two of them themselves where a page is secure; the arithmetic here does the rest.
// Name, p, a, b, base point, order, object identifier; SEC 2 and RFC 5639.
const CURVES = [
  "secp192k1 fffffffffffffffffffffffffffffffffffffffeffffee37 0 3 db4ff10ec057e9ae26b07d0280b7f4341da5d1b1eae06c7d 9b2f2f6d9c5628a7844163d015be86344082aa88d95e2f9d fffffffffffffffffffffffe26f2fc170f69466a74defd8d 2b8104001f",
  "secp192r1 fffffffffffffffffffffffffffffffeffffffffffffffff fffffffffffffffffffffffffffffffefffffffffffffffc 64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1 188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012 7192b95ffc8da78631011ed6b24cdd573f977a11e794811 ffffffffffffffffffffffff99def836146bc9b1b4d22831 2a8648ce3d030101",
  "secp256k1 fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f 0 7 79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798 483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8 fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 2b8104000a",
  "secp256r1 ffffffff00000001000000000000000000000000ffffffffffffffffffffffff ffffffff00000001000000000000000000000000fffffffffffffffffffffffc 5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296 4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5 ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551 2a8648ce3d030107",
  "secp384r1 fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7 3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973 2b81040022",
  "brainpool256r1 a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377 7d5a0975fc2c3057eef67530417affe7fb8055c126dc5c6ce94a4b44f330b5d9 26dc5c6ce94a4b44f330b5d9bbd77cbf958416295cf7e1ce6bccdc18ff8c07b6 8bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262 547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997 a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7 2b2403030208010107",
  "brainpool384r1 8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b412b1da197fb71123acd3a729901d1a71874700133107ec53 7bc382c63d8c150c3c72080ace05afa0c2bea28e4fb22787139165efba91f90f8aa5814a503ad4eb04a8c7dd22ce2826 4a8c7dd22ce28268b39b55416f0447c2fb77de107dcd2a62e880ea53eeb62d57cb4390295dbc9943ab78696fa504c11 1d1c64f068cf45ffa2a63a81b7c13f6b8847a3e77ef14fe3db7fcafe0cbd10e8e826e03436d646aaef87b2e247d4af1e 8abe1d7520f9c2a45cb1eb8e95cfd55262b70b29feec5864e19c054ff99129280e4646217791811142820341263c5315 8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565 2b240303020801010b",
].map((line) => {
  const [name, ...numbers] = line.split(" ");
  const [p, a, b, x, y, order] = numbers.slice(0, 6).map((one) => BigInt("0x" + one));
  return { name, p, a, b, base: [x, y], order, oid: unhex(numbers[6]), size: Math.ceil(p.toString(2).length / 8) };
});
const NATIVE = { secp256r1: "P-256", secp384r1: "P-384" };

const isOn = ({ p, a, b }, [x, y]) => x < p && y < p && mod(y * y - (x * x + a) * x - b, p) === 0n;

function inverse(value, m) {
  let [low, high, x, y] = [mod(value, m), m, 1n, 0n];
  while (low > 1n) {
    const times = high / low;
    [low, high, x, y] = [high - times * low, low, y - times * x, x];
  }
  return mod(x, m);
}

function doubled([x, y, z], { p, a }) {
  if (!y || !z) return [1n, 1n, 0n];
  const square = mod(y * y, p);
  const s = mod(4n * x * square, p);
  const slope = mod(3n * x * x + a * mod(z * z, p) ** 2n, p);
  const newX = mod(slope * slope - 2n * s, p);
  return [newX, mod(slope * (s - newX) - 8n * square * square, p), mod(2n * y * z, p)];
}

function summed(one, other, curve) {
  if (!one[2] || !other[2]) return one[2] ? one : other;
  const { p } = curve;
  const [[x1, y1, z1], [x2, y2, z2]] = [one, other];
  const [q1, q2] = [mod(z1 * z1, p), mod(z2 * z2, p)];
  const [u1, u2, s1, s2] = [mod(x1 * q2, p), mod(x2 * q1, p), mod(y1 * z2 * q2, p), mod(y2 * z1 * q1, p)];
  if (u1 === u2) return s1 === s2 ? doubled(one, curve) : [1n, 1n, 0n];
  const [across, up] = [u2 - u1, s2 - s1];
  const square = mod(across * across, p);
  const [cube, middle] = [mod(across * square, p), mod(u1 * square, p)];
  const x = mod(up * up - cube - 2n * middle, p);
  return [x, mod(up * (middle - x) - s1 * cube, p), mod(across * z1 * z2, p)];
}

function isSignedHere(message, r, s, { curve, point }) {
  const { order, p } = curve;
  const z = toBig(sha256(message)) >> BigInt(Math.max(0, 256 - order.toString(2).length));
  const w = inverse(s, order);
  const [u, v] = [mod(z * w, order), mod(r * w, order)];
  const [first, second] = [[...curve.base, 1n], [...point, 1n]];
  const terms = [null, first, second, summed(first, second, curve)];
  let total = [1n, 1n, 0n];
  for (let bit = BigInt(Math.max(u.toString(2).length, v.toString(2).length)) - 1n; bit >= 0n; bit--) {
    total = doubled(total, curve);
    const term = terms[Number(((u >> bit) & 1n) + 2n * ((v >> bit) & 1n))];
    if (term) total = summed(total, term, curve);
  }
  if (!total[2]) return false;
  return mod(mod(total[0] * inverse(total[2] * total[2], p), p), order) === r;
}

function derNumbers(data) {
  if (data[0] !== 0x30 || data[1] !== data.length - 2) return null;
  const numbers = [];
  let at = 2;
  for (let count = 0; count < 2; count++) {
    const size = data[at + 1];
    if (data.length - at < 3 || data[at] !== 2 || !size || size > data.length - at - 2) return null;
    const content = data.slice(at + 2, at + 2 + size);
    numbers.push(BigInt.asIntN(8 * size, toBig(content)));
    at += 2 + size;
  }
  return at === data.length ? numbers : null;
}

// Whether a key signed a message; the signature is DER, or both numbers in a row.
async function isSignedBy(key, message, signature) {
  const { curve } = key;
  const { size, order } = curve;
  let numbers = derNumbers(signature);
  if (!numbers) {
    if (signature.length !== 2 * size) return false;
    numbers = [toBig(signature.slice(0, size)), toBig(signature.slice(size))];
  }
  if (!numbers.every((one) => 0n < one && one < order)) return false;
  const named = NATIVE[curve.name];
  if (!named || !subtle()) return isSignedHere(message, ...numbers, key);
  const method = { name: "ECDSA", namedCurve: named, hash: "SHA-256" };
  const raw = joined(Uint8Array.of(4), coordinates(key));
  const known = await subtle().importKey("raw", raw, method, false, ["verify"]);
  return subtle().verify(method, known, joined(...numbers.map((one) => fromBig(one, size))), message);
}

const subtle = () => globalThis.crypto?.subtle; // absent on pages that are not secure

const coordinates = ({ curve, point }) => joined(...point.map((one) => fromBig(one, curve.size)));
const fingerprint = (key) => hex(sha256(coordinates(key))).slice(0, 16);

function keyOn(curve, data) {
  const point = [toBig(data.slice(0, curve.size)), toBig(data.slice(curve.size))];
  return data.length === 2 * curve.size && isOn(curve, point) ? { curve, point } : null;
}

function keyOf(name, digits) {
  const curve = CURVES.find((one) => one.name === name);
  if (!curve) throw new Wrong(`'${name.slice(0, 40)}' is no curve of OCMF`);
  if (!isHex(digits)) throw new Wrong("the key is not written in hexadecimal digits");
  const key = keyOn(curve, unhex(digits));
  if (!key) throw new Wrong(`the key is no point on ${name}`);
  return key;
}

const isHex = (text) => /^([0-9a-fA-F]{2})*$/.test(text);

function unbase64(text) {
  if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null;
  return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
}

// A key as it is printed: SubjectPublicKeyInfo or point; hexadecimal, base64 or PEM.
function readKey(text) {
  const bare = text.replace(/-----(BEGIN|END) PUBLIC KEY-----/g, "").replace(/\s/g, "");
  let data = isHex(bare) ? unhex(bare) : unbase64(bare + "=".repeat(-bare.length & 3));
  if (!data) throw new NotUsable("the meter's key is neither hexadecimal digits nor base64");
  for (const curve of CURVES) {
    const method = joined(unhex("06072a8648ce3d0201"), Uint8Array.of(6, curve.oid.length), curve.oid);
    const size = 2 * curve.size + 2;
    const rest = joined(Uint8Array.of(0x30, method.length), method, Uint8Array.of(3, size, 0));
    const head = joined(Uint8Array.of(0x30, rest.length + size - 1), rest, Uint8Array.of(4));
    const key = isSame(data.slice(0, head.length), head) && keyOn(curve, data.slice(head.length));
    if (key) return key;
  }
  if (data.length % 2 && data[0] === 4) data = data.slice(1);
  for (const curve of CURVES) if (keyOn(curve, data)) return keyOn(curve, data);
  throw new NotUsable("the meter's key is no point on a curve of OCMF");
}
