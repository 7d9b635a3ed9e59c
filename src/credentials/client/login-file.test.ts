import assert from 'node:assert/strict';
import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { jsonOf, member, objectOf } from '../../../test/support/json-text.ts';
import { CredentialError } from '../credential-error.ts';
import { decodeClientAuth, LoginFile } from './login-file.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const login = { username: 'u', password: 'p', identityToken: '', registryToken: '' };
const parse = (text: string): LoginFile => LoginFile.parse('/f', Buffer.from(text));

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'drayage-login-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('6.25 an entry is read with its tokens beside user and password', () => {
  const file = parse(
    JSON.stringify({
      auths: {
        'r.io': { auth: base64('u:p:q\0\0'), identitytoken: 'i', REGISTRYTOKEN: 'r' },
        b: { username: 'x', password: 'y' },
      },
    }),
  );
  assert.deepEqual(
    [...file.entries],
    [
      ['r.io', { username: 'u', password: 'p:q', identityToken: 'i', registryToken: 'r' }],
      ['b', { username: 'x', password: 'y', identityToken: '', registryToken: '' }],
    ],
  );
});

for (const [name, auth, message] of [
  ['no colon', base64('S3CRET'), 'invalid auth configuration file'],
  ['no user', base64(':S3CRET'), 'invalid auth configuration file'],
  ['no padding', 'YWE6YmI', 'illegal base64 data at input byte 4'],
] as const) {
  test(`6.25 auth with ${name} is refused`, () => {
    assert.throws(() => decodeClientAuth(auth), { message });
    assert.throws(() => parse(JSON.stringify({ auths: { h: { auth } } })), { message });
  });
}

test('6.26 a saved login is auth and tokens only, without user and password in clear', () => {
  const file = parse('{"auths":{"r.io":{"username":"old","password":"old"}}}');
  const text = file.withEntry('r.io', { ...login, identityToken: 'token' }).print();
  assert.equal(
    text,
    `{\n\t"auths": {\n\t\t"r.io": {\n\t\t\t"auth": "${base64('u:p')}",\n\t\t\t"identitytoken": "token"\n\t\t}\n\t}\n}`,
  );
});

test('what is not known is kept as it was written: order, spelling, numbers, names of Object', () => {
  const text =
    '{\n\t"psFormat": "{{.ID}} \\u0026",\n\t"AUTHS": {\n\t\t"b": {}\n\t},\n\t"big": 12345678901234567890.10,\n\t"__proto__": {\n\t\t"list": [\n\t\t\t1,\n\t\t\ttrue,\n\t\t\tnull\n\t\t],\n\t\t"none": [],\n\t\t"empty": {}\n\t}\n}';
  const file = parse(text);
  assert.equal(file.print(), text);
  const changed = file.withEntry('a', login).withEntry('c', undefined);
  assert.equal(changed.withoutEntries(['a', 'c']).print(), text.replace('AUTHS', 'auths'));
  assert.deepEqual([...changed.entries.keys()], ['a', 'b', 'c']);
});

test('an entry that is not there is removed without a trace', () => {
  const file = parse('{"auths":{}}');
  assert.equal(file.withoutEntries(['x']), file);
});

test('the file is written for its owner alone, its directory too, and a link is followed', async (t) => {
  const path = await directory(t);
  const file = await LoginFile.read(join(path, 'new', 'config.json'));
  await file.withEntry('r.io', login).write();
  assert.equal((await stat(join(path, 'new'))).mode & 0o777, 0o700);
  assert.equal((await stat(file.path)).mode & 0o777, 0o600);
  await writeFile(join(path, 'real.json'), '{}', { mode: 0o644 });
  await symlink('real.json', join(path, 'link.json'));
  await (await LoginFile.read(join(path, 'link.json'))).withEntry('r.io', login).write();
  assert.ok((await lstat(join(path, 'link.json'))).isSymbolicLink());
  assert.equal((await stat(join(path, 'real.json'))).mode & 0o777, 0o600);
  assert.ok((await readFile(join(path, 'real.json'), 'utf8')).includes('"r.io"'));
});

test('a missing or empty file is an empty one; a broken one is named and not quoted', async (t) => {
  const path = join(await directory(t), 'config.json');
  assert.equal((await LoginFile.read(path)).isConfigured, false);
  await writeFile(path, ' \n');
  assert.equal((await LoginFile.read(path)).isConfigured, false);
  await writeFile(path, '{"auths":{"r.io":{"auth":"S3CRET');
  await assert.rejects(LoginFile.read(path), {
    code: 'BAD_CLIENT_CONFIG',
    message: `Cannot read login file "${path}": unexpected end of JSON input`,
  });
});

test('a file that cannot be written is named, and nothing is left beside it', async (t) => {
  const path = await directory(t);
  await writeFile(join(path, 'file'), '');
  const file = await LoginFile.read(join(path, 'file', 'config.json'));
  await assert.rejects(file.withEntry('r.io', login).write(), {
    code: 'BAD_CLIENT_CONFIG',
    message: `Cannot write login file "${path}/file/config.json": EEXIST`,
  });
  assert.deepEqual(await readdir(path), ['file']);
});

test('hostile login files are read or refused, and what was read prints as itself', () => {
  const secret = 'S3CRET-VALUE';
  const leaf = fc.oneof(
    jsonOf(null, true, 0, '', 'é', [], {}, [{}], { a: 1 }),
    jsonOf(secret, base64(`${secret}:x`)),
  );
  const entry = objectOf([member(['auth', 'AUTH', 'username', 'identitytoken', '__proto__'], leaf)]);
  const entries = objectOf([member(['r.io', '__proto__'], entry)]);
  const file = objectOf([
    member(['auths'], fc.oneof(leaf, entries)),
    member(['credsStore', 'credHelpers', 'other'], leaf),
  ]);
  fc.assert(
    fc.property(file, fc.nat(300), (whole, cut) => {
      for (const text of [whole, whole.slice(0, cut)]) {
        try {
          const read = parse(text);
          const printed = read.print();
          assert.equal(parse(printed).print(), printed);
          assert.ok(read.withEntry('new', login).entries.has('new'));
        } catch (error) {
          assert.ok(error instanceof CredentialError, String(error));
          assert.ok(!error.message.includes(secret));
        }
      }
      assert.equal('auth' in {}, false);
    }),
    runs,
  );
});
