/** What would happen to each image of an object, and why. */
export * from '../doctor/explain-image.ts';
export * from '../doctor/explain-object.ts';
export type * from '../doctor/explain-sources.ts';
