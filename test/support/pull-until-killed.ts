import { join } from 'node:path';
import { UnpackPool } from '../../src/archive/unpack-pool.ts';
import { openFileStore } from '../../src/content/file-store.ts';
import { openLayerStore } from '../../src/images/layer-store.ts';
import { openImageStore } from '../../src/images/sqlite-image-store.ts';
import { Puller } from '../../src/pull/pull-image.ts';
import { createHostResolver } from '../../src/remote/hosts/create-host-resolver.ts';
import { createRemoteClient } from '../../src/remote/remote-client.ts';

/* A process that pulls an image and is killed while it does. Arguments: the root and the reference. Tells its parent when it begins and ends. */

const [root = '', reference = ''] = process.argv.slice(2);
const content = await openFileStore(join(root, 'content'));
const pool = new UnpackPool(1);
const unpacker = await openLayerStore(join(root, 'layers'), { pool, content });
const images = await openImageStore(join(root, 'images.db'));
const remote = createRemoteClient({ hosts: createHostResolver({ roots: [] }), environment: {} });
const puller = new Puller({
  remote,
  content,
  images,
  unpacker,
  platform: { os: 'linux', architecture: 'amd64' },
});
process.send?.('begins');
await puller.pull({ reference, signal: new AbortController().signal });
process.send?.('ended');
