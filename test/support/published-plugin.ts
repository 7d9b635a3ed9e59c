import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';
import type { CloudPlugin } from '../../src/credentials/cloud/plugin-names.ts';

const PROGRAMS: Readonly<Record<CloudPlugin, string>> = {
  ecr: 'ecr-credential-provider',
  gcr: 'auth-provider-gcp',
  acr: 'acr-credential-provider',
};

/**
 * Lays out launcher, cloud plug-in and all it imports as JavaScript, as the published package has them, and links the
 * program under the plug-in's name; returns the link. Sources would add the time that removing their types takes.
 */
export async function publishedPlugin(directory: string, plugin: CloudPlugin): Promise<string> {
  const root = join(import.meta.dirname, '..', '..');
  const source = join(root, 'src');
  const done = new Set<string>();
  const write = async (path: string): Promise<void> => {
    if (done.has(path)) return;
    done.add(path);
    const script = stripTypeScriptTypes(await readFile(path, 'utf8'));
    for (const [, imported = ''] of script.matchAll(/(?:from |import\()'(\.[^']+)'/g))
      await write(join(dirname(path), imported));
    const target = join(directory, 'dist', relative(source, path)).replace(/ts$/, 'js');
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, script.replaceAll(/((?:from |import\()'\.[^']+)\.ts'/g, "$1.js'"));
  };
  await write(join(source, 'cli', 'run-plugin.ts'));
  await write(join(source, 'credentials', 'cloud', 'plugin-names.ts'));
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  const launcher = join(directory, 'bin', 'dray.js');
  await mkdir(dirname(launcher));
  await copyFile(join(root, 'bin', 'dray.js'), launcher);
  const program = join(directory, PROGRAMS[plugin]);
  await symlink(launcher, program);
  return program;
}
