/** What a history line can hold. 64-bit ids are decimal strings in it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };
