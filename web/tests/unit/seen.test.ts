import { expect, test } from 'vitest'
import { seen } from '../../src/view/seen'

test('what somebody decides by hides nothing and reads as it stands', () => {
  expect(seen('report\u202efdp.exe')).toBe('report·fdp.exe')
  expect(seen('rm\u200b -rf\u2066 \u{e0041}x\u061c\u3164\u0000\u200dy\u2028z')).toBe('rm· -rf· ·x····y·z')
  expect(seen('a\r\nb\tc')).toBe('a\nb\tc')
  expect(seen('rm\u00a0x\u2800y\u2003\u3000z')).toBe('rm·x·y·\u3000z')
  expect(seen('报告 ❤️ ñ')).toBe('报告 ❤️ ñ')
})
