/** Appends five random characters of `bcdfghjklmnpqrstvwxz2456789` to `base`, cutting `base` at 58 characters. */
export declare function generateName(base: string): string;
/** Returns `length` random characters of the alphabet of generated names. */
export declare function randomSuffix(length: number): string;
/** Returns a random version 4 UUID. */
export declare function newUid(): string;
