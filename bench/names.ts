import { parseNormalizedReference } from '../src/oci/reference.ts';
import { median, type Bench } from './row.ts';

const COUNT = 200_000;
const RUNS = 11;

/** Reading image names: the forms that manifests hold, half of them with a registry. */
export const bench: Bench = async () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const names = Array.from({ length: COUNT }, (_, i) => {
    const forms = [
      `nginx`,
      `team${i % 97}/app:v1.${i}`,
      `registry${i % 31}.example.com:5000/team/app-${i % 1009}:v1.2.${i}`,
      `registry${i % 31}.example.com/a/b/c/app_${i % 1009}@${digest}`,
    ];
    return forms[i % forms.length] ?? '';
  });
  const rates: number[] = [];
  let characters = 0;
  for (let run = 0; run < RUNS; run++) {
    const before = performance.now();
    for (const name of names) characters += parseNormalizedReference(name).path.length;
    rates.push(COUNT / ((performance.now() - before) / 1000));
  }
  if (characters === 0) throw new Error('Cannot measure: nothing was parsed');
  const rate = median(rates);
  return [
    {
      what: `references parsed and normalised, one core, ${COUNT} different names of four forms`,
      measured: `${(rate / 1e6).toFixed(2)} million/s`,
      target: '≥ 1 million/s',
      met: rate >= 1e6,
    },
  ];
};
