import { defineAsyncComponent } from 'vue'

// Fetched when somebody opens one. Mounted with `v-if` on what opens them, so that each opening begins afresh.
export const ConfirmDialog = defineAsyncComponent(() => import('./ConfirmDialog.vue'))
export const FormDialog = defineAsyncComponent(() => import('./FormDialog.vue'))
export const Modal = defineAsyncComponent(() => import('./Modal.vue'))
