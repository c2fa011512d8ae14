import type { Messages } from '../en'

export const audit: Messages['audit'] = {
  title: 'Аудит',
  text: 'Что произошло и кто это сделал. Изменить здесь ничего нельзя.',
  actor: 'Кто',
  kind: 'Что',
  kind_help: 'Что, например pause',
  when: 'Когда',
  about: 'О чём',
  detail: 'Подробности',
  since: 'Начиная с',
  until: 'До',
  run: 'запуск',
  delivery: 'доставка',
  export: 'Выгрузить',
  none: 'Пока ничего не происходило',
  none_next: 'Здесь появится всё, что делают люди и платформа в ваших проектах.',
  no_match: 'Таких событий нет',
  no_match_next: 'Уберите какой-нибудь фильтр.',
}
