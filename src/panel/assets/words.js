// The kiosk's own words in the languages that visitors choose by voice. A language that is not here is shown in English:
// what the model says is in any language all the same.

const NAMES = ['idle', 'connecting', 'offline', 'listening', 'thinking', 'speaking', 'muted', 'ringing', 'trouble', 'spent', 'asking', 'lost', 'talk', 'stop', 'camera', 'saw'];

const WORDS = {
  de: 'Bereit|Verbinde|Keine Verbindung|Ich höre zu|Ich überlege|Ich spreche|Stumm|Es klingelt|Störung|Tageslimit erreicht|Ja oder nein?|Keine Verbindung|Sprechen|Stopp|Kamera an|Das habe ich gesehen',
  es: 'Listo|Conectando|Sin conexión|Escuchando|Pensando|Hablando|Silenciado|Sonando|Problema|Límite alcanzado|¿Sí o no?|Sin conexión|Hablar|Parar|Cámara activada|Lo que he visto',
  fr: 'Prêt|Connexion|Hors ligne|J’écoute|Je réfléchis|Je parle|Micro coupé|Ça sonne|Problème|Limite atteinte|Oui ou non ?|Pas de connexion|Parler|Arrêter|Caméra allumée|Ce que j’ai vu',
  it: 'Pronto|Connessione|Non in linea|Ti ascolto|Sto pensando|Sto parlando|Microfono spento|Sta suonando|Problema|Limite raggiunto|Sì o no?|Nessuna connessione|Parla|Ferma|Fotocamera accesa|Ciò che ho visto',
  nl: 'Klaar|Verbinden|Offline|Ik luister|Ik denk na|Ik spreek|Gedempt|Het rinkelt|Storing|Limiet bereikt|Ja of nee?|Geen verbinding|Praten|Stop|Camera aan|Wat ik zag',
  pl: 'Gotowe|Łączenie|Brak połączenia|Słucham|Myślę|Mówię|Wyciszono|Dzwoni|Usterka|Limit wyczerpany|Tak czy nie?|Brak połączenia|Mów|Stop|Kamera włączona|To widziałem',
  pt: 'Pronto|A ligar|Sem ligação|A ouvir|A pensar|A falar|Silenciado|A tocar|Problema|Limite atingido|Sim ou não?|Sem ligação|Falar|Parar|Câmara ligada|O que vi',
};

/** The words of a language by its code, under the names of the states and of what else is written; none for English. */
export function wordsOf(code) {
  const words = WORDS[code]?.split('|');
  return words && Object.fromEntries(words.map((word, at) => [NAMES[at], word]));
}
