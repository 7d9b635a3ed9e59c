import { Command } from 'commander';
import { stringify } from 'yaml';
import { explainObject, type ObjectExplanation } from '../doctor/explain-object.ts';
import type { ExplainSources } from '../doctor/explain-sources.ts';
import type { Pod } from '../kube/pod.ts';
import { readManifestArguments } from './_manifest-arguments.ts';
import { openExplainSources, type SourceOptions } from './_explain-sources.ts';
import { formatExplanations } from './_explain-text.ts';
import { interruptible } from './_interruptible.ts';
import { EXIT, UsageError } from './exit.ts';
import { Terminal } from './terminal.ts';

interface ExplainOptions extends SourceOptions {
  readonly filename?: string[];
  readonly kustomize?: string;
  readonly namespace?: string;
  readonly output?: string;
  readonly verbose?: boolean;
}

const FORMATS: readonly string[] = ['text', 'json', 'yaml'];

export function command(): Command {
  const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value];
  return new Command()
    .description(
      'Says what would happen to each image of a manifest, an object or a name, and why, without doing it.',
    )
    .argument(
      '[image|kind/name]',
      'an image name; with --context or --kubeconfig also an object of that cluster, such as deployment/web',
    )
    .option(
      '-f, --filename <file>',
      'manifests: a file, a directory, or - for standard input; may be repeated',
      collect,
    )
    .option('-k, --kustomize <directory>', 'a kustomization')
    .option('-n, --namespace <name>', 'namespace of objects that name none')
    .option(
      '--context <name>',
      'ask the cluster of this kubeconfig context for secrets, service accounts and objects',
    )
    .option(
      '--kubeconfig <file>',
      'kubeconfig to use (default: $KUBECONFIG, then ~/.kube/config); implies asking the cluster',
    )
    .option(
      '--kubelet-root-dir <directory>',
      'where the node looks for config.json first',
      '/var/lib/kubelet',
    )
    .option(
      '--no-node-files',
      'leave out this machine: its login files and how it is configured to reach registries',
    )
    .option(
      '--ask-registries',
      'list tags at the registries, with your logins, to name a better one than latest',
    )
    .option(
      '--image-credential-provider-config <path>',
      'credential providers of the node: their configuration, a file or a directory',
    )
    .option(
      '--image-credential-provider-bin-dir <directory>',
      'credential providers of the node: their programs',
    )
    .option(
      '--image-pull-credentials-verification-policy <policy>',
      'who must prove the right to a present image',
      'NeverVerifyPreloadedImages',
    )
    .option(
      '--preloaded-images-verification-allowlist <patterns>',
      'images exempt under NeverVerifyAllowlistedImages, separated by commas',
    )
    .option('--enable-admission-plugins <names>', 'AlwaysPullImages, when the cluster has it')
    .option('-o, --output <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .option('-v, --verbose', 'also say why each other credential does not match')
    .action(async (subject: string | undefined, options: ExplainOptions) => {
      process.exitCode = await explain(subject, options);
    });
}

async function explain(subject: string | undefined, options: ExplainOptions): Promise<number> {
  const format = options.output ?? 'text';
  if (!FORMATS.includes(format))
    throw new UsageError(`unknown output format "${format}": there are ${FORMATS.join(', ')}`);
  const fromFiles = (options.filename?.length ?? 0) > 0 || options.kustomize !== undefined;
  if (fromFiles === (subject !== undefined))
    throw new UsageError('name an image or an object, or give manifests with -f or -k: one of them');
  const signal = interruptible();
  const objects = fromFiles ? await readManifestArguments(options.filename ?? [], options.kustomize) : [];
  await using sources = await openExplainSources(options, objects);
  const namespace = options.namespace ?? sources.namespace;
  const explanations: ObjectExplanation[] = [];
  if (subject === undefined) {
    for (const object of objects) {
      const explained = await explainObject(object, object.metadata.namespace ?? namespace, sources, signal);
      if (explained !== undefined) explanations.push(explained);
    }
    if (explanations.length === 0)
      throw new UsageError('nothing to explain: none of the objects given runs a container');
  } else {
    const object = await sources.find(subject, namespace, signal);
    if (object !== undefined) {
      const explained = await explainObject(object, namespace, sources, signal);
      if (explained === undefined) throw new UsageError(`nothing to explain: ${subject} runs no container`);
      explanations.push(explained);
    } else {
      explanations.push(await explainName(subject, namespace, sources, signal));
    }
  }
  process.stdout.write(print(explanations, format, options.verbose === true));
  const problems = explanations.some(
    (each) =>
      each.problems.length > 0 ||
      each.images.some((image) => image.problems.length > 0 || !image.reference.valid),
  );
  return problems ? EXIT.failure : EXIT.ok;
}

/** An image alone stands for a Pod with that one image, of the namespace's default account. */
async function explainName(
  image: string,
  namespace: string,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<ObjectExplanation> {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: '' },
    spec: { containers: [{ name: '', image }] },
  };
  const explained = await explainObject(pod, namespace, sources, signal);
  if (explained === undefined) throw new TypeError('a Pod runs containers');
  const field = /^spec\.containers\[0\]\.?/;
  return {
    ...explained,
    apiVersion: '',
    kind: '',
    images: explained.images.map((each) => ({
      ...each,
      field: '',
      warnings: each.warnings.map((warning) => ({ ...warning, about: warning.about.replace(field, '') })),
    })),
  };
}

function print(explanations: readonly ObjectExplanation[], format: string, verbose: boolean): string {
  if (format === 'json') return `${JSON.stringify(explanations, undefined, 2)}\n`;
  if (format === 'yaml') return stringify(explanations, { aliasDuplicateObjects: false });
  return formatExplanations(explanations, new Terminal(process.stdout), verbose);
}
