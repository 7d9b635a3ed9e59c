import { Command } from 'commander';
import { stringify } from 'yaml';
import { explainObject, type ObjectExplanation } from '../doctor/explain-object.ts';
import { explainImage } from '../doctor/explain-image.ts';
import { explainPullPolicy } from '../admission/pull-policy.ts';
import { readManifestArguments } from './_manifest-arguments.ts';
import { openExplainSources, type SourceOptions } from './_explain-sources.ts';
import { formatExplanations } from './_explain-text.ts';
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
    .option('--no-node-files', 'leave the login files of this machine out')
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
  const signal = AbortSignal.any([]);
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
  const problems = explanations
    .flatMap((each) => each.images)
    .some((image) => image.problems.length > 0 || !image.reference.valid);
  return problems ? EXIT.failure : EXIT.ok;
}

/** An image alone stands for a Pod with that one image and nothing else. */
async function explainName(
  image: string,
  namespace: string,
  sources: Parameters<typeof explainImage>[2],
  signal: AbortSignal,
): Promise<ObjectExplanation> {
  const pod = { namespace, podName: '', serviceAccountName: 'default', imagePullSecrets: [] };
  const explained = await explainImage(
    { field: '', name: '', image, policy: explainPullPolicy(image), warnings: [] },
    pod,
    sources,
    signal,
  );
  return {
    apiVersion: '',
    kind: '',
    namespace,
    name: '',
    serviceAccount: 'default',
    imagePullSecrets: [],
    trace: [],
    images: [explained],
  };
}

function print(explanations: readonly ObjectExplanation[], format: string, verbose: boolean): string {
  if (format === 'json') return `${JSON.stringify(explanations, undefined, 2)}\n`;
  if (format === 'yaml') return stringify(explanations);
  return formatExplanations(explanations, new Terminal(process.stdout), verbose);
}
