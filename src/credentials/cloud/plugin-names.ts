/** The cloud plug-ins. */
export type CloudPlugin = 'ecr' | 'gcr' | 'acr';

/** Names under which the program may be linked, as clusters configure them. */
const PROGRAMS: ReadonlyMap<string, CloudPlugin> = new Map([
  ['ecr-credential-provider', 'ecr'],
  ['auth-provider-gcp', 'gcr'],
  ['acr-credential-provider', 'acr'],
]);

/** Tells which plug-in a program name stands for; undefined for the program's own name. */
export function cloudPluginFor(programName: string): CloudPlugin | undefined {
  return PROGRAMS.get(programName.replace(/\.(?:exe|js|ts)$/, ''));
}
