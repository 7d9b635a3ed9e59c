import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';
import type { CloudPlugin } from '../../src/credentials/cloud/plugin-names.ts';

/**
 * Writes a cloud plug-in and all it imports as JavaScript, as the published package has them, and a program that runs it;
 * returns the program's path. Sources would add the time that removing their types takes.
 */
export async function publishedPlugin(directory: string, plugin: CloudPlugin): Promise<string> {
  const source = join(import.meta.dirname, '..', '..', 'src');
  const done = new Set<string>();
  const write = async (path: string): Promise<void> => {
    if (done.has(path)) return;
    done.add(path);
    const script = stripTypeScriptTypes(await readFile(path, 'utf8'));
    for (const [, imported = ''] of script.matchAll(/(?:from |import\()'(\.[^']+)'/g))
      await write(join(dirname(path), imported));
    const target = join(directory, relative(source, path)).replace(/ts$/, 'js');
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, script.replaceAll(/((?:from |import\()'\.[^']+)\.ts'/g, "$1.js'"));
  };
  await write(join(source, 'credentials', 'cloud', 'run-cloud-plugin.ts'));
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  const main = join(directory, 'main.js');
  await writeFile(
    main,
    `import { runCloudPlugin } from './credentials/cloud/run-cloud-plugin.js';
process.exitCode = await runCloudPlugin('${plugin}', { arguments: process.argv.slice(2), environment: process.env, stdin: process.stdin,
  stdout: (text) => process.stdout.write(text), stderr: (text) => process.stderr.write(text), signal: new AbortController().signal });`,
  );
  return main;
}
