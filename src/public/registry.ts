/** The private registry, to be served by a program of one's own. */
export * from '../registry/registry.ts';
