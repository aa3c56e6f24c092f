// How long something takes, in the person's language.

import { t } from '../i18n/index.svelte'
import { span } from '../view/words'

type Unit = 's' | 'min' | 'h' | 'd'

export const lasting = (ms: number): string => span(ms).replace(/([\d.]+) (s|min|h|d)\b/g, (_, number: string, unit: Unit) => t(`span.${unit}`, { number }))
