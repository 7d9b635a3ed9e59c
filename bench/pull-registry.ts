// A process of its own, so that the registry's time is not the pull's: `node bench/pull-registry.ts DIRECTORY` prints its address.
import { createRegistry } from '../src/registry/registry.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('Cannot serve: no directory was given');
const registry = await createRegistry({ auth: 'none', directory });
process.stdout.write(`${new URL(registry.url).host}\n`);
process.once('SIGTERM', () => {
  void registry.close().then(() => process.exit(0));
});
