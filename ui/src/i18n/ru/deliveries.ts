import type { Messages } from '../en'

export const deliveries: Messages['deliveries'] = {
  title: 'Доставки',
  text: 'Всё, что пришло, и что из этого вышло.',
  search: 'Номер задачи или id GitHub',
  verdict: 'Решение',
  any_verdict: 'Любое решение',
  event: 'Событие',
  sender: 'Кто',
  why: 'Почему',
  received: 'Получено',
  to_run: 'К запуску',
  one: 'Доставка',
  all: 'Все доставки',
  copy_link: 'Скопировать ссылку',
  how: 'Как пришла',
  guid: 'id GitHub',
  replayed: 'Повторена',
  replay_of: 'повтор более ранней доставки',
  same_subject: 'Всё, что пришло о #{number}',
  no_match: 'Таких доставок нет',
  no_match_next: 'Если GitHub показывает доставку, которой здесь нет, она не дошла: её прочтут из журнала в течение часа.',
  none: 'Пока ничего не приходило',
  none_next: 'Подключите репозиторий в разделе «Репозитории»: здесь появятся его события.',
}

export const source: Messages['source'] = { webhook: 'вебхук', read_back: 'прочитано из журнала GitHub', schedule: 'расписание', manual: 'вручную' }

export const verdict: Messages['verdict'] = {
  started: 'Начат запуск',
  signalled: 'Передано запуску',
  duplicate: 'Уже известно',
  no_rule: 'Нет правила',
  repository_unknown: 'Не подключён',
  loop_guard: 'Удержано: цикл',
  two_agent_labels: 'Два агента сразу',
  already_working: 'Запуск уже идёт',
  archived: 'В архиве',
  echo: 'Наша запись',
  cancelled_before_start: 'Отменено раньше',
  nothing_to_cancel: 'Нечего отменять',
  nothing_to_retry: 'Нечего повторять',
  config_refresh: 'Настройки прочитаны',
  repository_updated: 'Репозиторий отмечен',
  paused: 'Пауза',
  ignored: 'Нечего делать',
}
