// A name by chance that nobody else has. `crypto.randomUUID` is kept from a page that came over plain HTTP from another machine;
// the random bytes are not.

export function randomName(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
