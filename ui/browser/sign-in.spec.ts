import { accessible } from './accessible'
import { expect, signIn, state, test } from './platform'

test('a signed-out person is asked to sign in, and is taken where they wanted to go', async ({ page }) => {
  await page.goto('/profile')
  await expect(page).toHaveURL(/\/sign-in\?to=\/profile$/)
  await accessible(page)
  await signIn(page, 'maintainer', '/profile')
  await expect(page).toHaveURL(/\/profile$/)
  await expect(page.getByText('maintainer@people.example')).toBeVisible()
})

test('signing out ends it', async ({ page }) => {
  await signIn(page, 'maintainer')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('link', { name: 'Sign in with GitHub' })).toBeVisible()
  await page.goto('/projects')
  await expect(page).toHaveURL(/\/sign-in/)
})

test('whoever says no on GitHub reads why they are not in', async ({ page }) => {
  await page.goto('/sign-in')
  await page.getByRole('link', { name: 'Sign in with GitHub' }).click()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await expect(page.getByRole('alert')).toContainText('You did not allow it on GitHub.')
  await accessible(page)
})

test('whoever is not on the list reads what to do', async ({ page }) => {
  await page.goto('/sign-in')
  await page.getByRole('link', { name: 'Sign in with GitHub' }).click()
  await page.getByRole('button', { name: 'Sign in as outsider', exact: true }).click()
  await expect(page.getByRole('alert')).toContainText('You were not signed in')
})

test('speaks Russian from the first page on', async ({ page }) => {
  await page.goto('/sign-in')
  await page.getByRole('button', { name: 'Русский' }).click()
  await expect(page.getByRole('heading', { name: 'codex-k8s' })).toBeVisible()
  await expect(page.getByRole('link', { name: 'Войти через GitHub' })).toBeVisible()
  expect(await page.getAttribute('html', 'lang')).toBe('ru')
  await accessible(page)
})

test('a gateway that is away is told, and tried again on request', async ({ page }) => {
  await page.route(`${state.gateway_url}/api/**`, (route) => route.abort())
  await page.goto('/')
  await expect(page.getByText('The gateway does not answer')).toBeVisible()
  await accessible(page)
  await page.unroute(`${state.gateway_url}/api/**`)
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.getByRole('link', { name: 'Sign in with GitHub' })).toBeVisible()
})
