/** Marks of direction, what has no width, tags and controls: not seen, and able to make a text read otherwise than it stands. Also
 * spaces that look like one and are none to a program, but for the wide one of Chinese texts. Shapes of pictographs stay; so do line
 * ends and tabs. The programs have the same list (`sandbox::unseen`). */
const UNSEEN = /(?![\n\t\ufe00-\ufe0f])[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2028\u2029]|(?![ \u3000])[\p{Zs}\u2800]/gu

/** A text as it stands: where something in it cannot be seen there is a dot. For what somebody decides by. */
export const seen = (text: string): string => text.replaceAll('\r\n', '\n').replace(UNSEEN, '·')
