/** Time between two runs of clean-up, and between two looks at what is in use, in milliseconds (rules 11.1, 11.6). */
export const GC_PERIOD = 300_000;
