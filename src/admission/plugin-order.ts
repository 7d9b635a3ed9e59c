/** Built-in admission plug-ins that matter to images, in the order in which they run (rule 2.21). */
export const PLUGIN_ORDER = [
  'ServiceAccount',
  'NodeRestriction',
  'TaintNodesByCondition',
  'AlwaysPullImages',
  'ImagePolicyWebhook',
  'PodSecurity',
] as const;

/** Sorts plug-in names into running order; names not known here keep their place after those that are. */
export function inPluginOrder<T extends string>(names: readonly T[]): readonly T[] {
  const place = (name: T): number => {
    const index = PLUGIN_ORDER.findIndex((known) => known === name);
    return index < 0 ? PLUGIN_ORDER.length : index;
  };
  return names.toSorted((a, b) => place(a) - place(b));
}
