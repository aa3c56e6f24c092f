// Where the page begins: the language, then the app.

import { mount } from 'svelte'
import App from './App.svelte'
import { startLanguage } from './i18n/index.svelte'
import './state/prefs.svelte'
import './styles/app.css'

await startLanguage()
const target = document.getElementById('app')
if (target) mount(App, { target })
